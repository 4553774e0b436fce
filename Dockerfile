# One recipe for all pipes: docker build --build-arg PIPE=s3-deploy .
# The stage `build` makes the binaries of all of them and does not know which one is wanted, so a second image costs no
# second build. ci/image.sh calls this with the labels filled in, and checks what comes out.
ARG RUST_IMAGE=rust:1.95-slim-bookworm

FROM ${RUST_IMAGE} AS toolchain
WORKDIR /src
# The list of crates goes into the binary, where scanners of vulnerabilities find it: the image has nothing else to read.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo install --locked --root /usr/local --version 0.7.7 cargo-auditable
# Static glibc, so that the image needs nothing but the binary; names still resolve, files and dns are built in.
# Panics name source files: of this place, whatever the machine.
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/usr/local/cargo/registry/src=crates --remap-path-prefix=/src=."

# The manifests alone, each with an empty program: this layer changes only when a dependency does.
FROM toolchain AS manifests
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock -delete \
 && mkdir -p shared/src shared/examples && touch shared/src/lib.rs && echo 'fn main() {}' > shared/examples/local_account.rs \
 && for pipe in pipes/*/; do mkdir -p "$pipe/src" && echo 'fn main() {}' > "$pipe/src/main.rs"; done

FROM toolchain AS build
COPY --from=manifests /src .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo auditable build --locked --profile image --workspace --bins --target "$(uname -m)-unknown-linux-gnu"
COPY . .
# Cargo compares times, and those of the checkout are older than the empty programs.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    find shared pipes -name '*.rs' -exec touch {} + \
 && cargo auditable build --locked --profile image --workspace --bins --target "$(uname -m)-unknown-linux-gnu" \
 && for pipe in pipes/*/pipe.yml; do \
      name=$(basename "$(dirname "$pipe")") \
   && install -D "target/$(uname -m)-unknown-linux-gnu/image/$name" "/images/$name/pipe" \
   && install -D --mode 644 "$pipe" "/images/$name/pipe.yml" \
   && "/images/$name/pipe" --version; \
    done

FROM scratch
ARG PIPE
ARG SOURCE=https://bitbucket.org/keylesspipes
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="${PIPE}" \
      org.opencontainers.image.source="${SOURCE}/${PIPE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /images/${PIPE:-which-one-is-said-by-build-arg-PIPE} /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["/pipe"]
