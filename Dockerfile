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
# The addresses that the loader adjusts take a bit each instead of 24 bytes. Panics name source files: of this place,
# whatever the machine.
ENV RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs --remap-path-prefix=/usr/local/cargo/registry/src=crates --remap-path-prefix=/src=."
# mimalloc writes the time of its compilation (`__DATE__`) into itself; this is what compilers take for it instead.
# https://reproducible-builds.org/specs/source-date-epoch/
ENV SOURCE_DATE_EPOCH=0

FROM toolchain AS build
COPY . .
# What is built stays in the engine's cache, crate by crate: an edit costs the linking, another version of one dependency
# only what stands on that, and a build that was stopped goes on where it was.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    target=$(uname -m)-unknown-linux-gnu \
 && cargo auditable build --locked --profile image --workspace --bins --target "$target" \
 && for file in pipes/*/pipe.yml; do \
      pipe=$(basename "$(dirname "$file")") \
   && install -D "target/$target/image/$pipe" "/images/$pipe/pipe" \
   && install -D --mode 644 "$file" "/images/$pipe/pipe.yml" \
   && "/images/$pipe/pipe" --version || exit 1; \
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
