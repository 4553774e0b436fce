# One recipe for all pipes: docker build --build-arg PIPE=s3-deploy .
ARG RUST_IMAGE=rust:1.95-slim-bookworm
FROM ${RUST_IMAGE} AS build
ARG PIPE
WORKDIR /src
COPY . .
# Static glibc, so that the image needs nothing but the binary; names still resolve (files and dns are built in).
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --release --package "${PIPE:?which pipe? --build-arg PIPE=s3-deploy}" \
      --target "$(uname -m)-unknown-linux-gnu" \
 && cp "target/$(uname -m)-unknown-linux-gnu/release/${PIPE}" /pipe \
 && cp "pipes/${PIPE}/pipe.yml" /pipe.yml \
 && /pipe --version

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /pipe.yml /pipe.yml
COPY --from=build /pipe /pipe
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["/pipe"]
