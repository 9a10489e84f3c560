# Build with: docker build -t mayhttpd .
# Run with:   docker run -p 80:80 -v /etc/httpd.conf:/etc/httpd.conf:ro \
#                 -v /var/www/html:/var/www/html:ro mayhttpd
# Either mount may be left out. The classic builder is enough, and BuildKit works as well.
# Test with:  docker build --target test --build-arg TESTS=yes .

# The dependencies, in a layer of their own: it is made again only when Cargo.toml or Cargo.lock changes.
FROM rust:1-slim-bookworm AS dependencies
WORKDIR /src
# Everything in the program itself, since the image has no libraries. Naming the target keeps the flag from
# the macros and build scripts, which need the dynamic loader.
ENV RUSTFLAGS="-C target-feature=+crt-static"
COPY Cargo.toml Cargo.lock ./
# The binary alone: with the library as a target of its own, cargo would make machine code twice, for it and
# at link time. In place of the program stands an empty one that leaves nothing behind, since cargo would take
# it for the program, whose files are older than it.
RUN target=$(rustc --print host-tuple) \
    && mkdir src && echo 'fn main() {}' >src/main.rs && touch src/lib.rs \
    && cargo build --release --locked --target "$target" --bin mayhttpd \
    && cargo clean --release --locked --target "$target" --package mayhttpd && rm -r src

FROM dependencies AS build
COPY README.md sysctl.conf ./
COPY src src
COPY dist/docker dist/docker
RUN target=$(rustc --print host-tuple) \
    && cargo build --release --locked --target "$target" --bin mayhttpd \
    && install -D "target/$target/release/mayhttpd" /image/usr/local/bin/mayhttpd \
    && install -D -m 644 -t /image/etc dist/docker/httpd.conf \
    && install -D -m 644 -t /image/usr/share/mayhttpd dist/docker/defaults.toml \
    && install -d /image/var/www/html

# The tests, which drive the program that is shipped. What needs other programs, or rights that a build has
# not, is skipped with a word; .ci/run has them all. BuildKit makes this stage only when it is the target. The
# classic builder makes it for each image, since it makes every stage before the target; so it runs no test
# there unless it is told to.
FROM build AS test
ARG TESTS
# Set by BuildKit alone.
ARG TARGETARCH
COPY . .
RUN if [ -n "$TESTS$TARGETARCH" ]; then \
        cargo test --release --locked --target "$(rustc --print host-tuple)" --lib --test it; \
    else \
        echo "no test is run by the classic builder without --build-arg TESTS=yes"; \
    fi

FROM scratch
COPY --from=build /image /
LABEL org.opencontainers.image.title="mayhttpd" \
      org.opencontainers.image.description="A static-file server for HTTP/1.1, HTTP/2 and TLS" \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# Variables rather than arguments, so that flags after the image's name win over them. What they name ranks
# below all else.
ENV MAYHTTPD_CONFIG=/etc/httpd.conf \
    MAYHTTPD_DEFAULTS=/usr/share/mayhttpd/defaults.toml
# By number, which Kubernetes needs to see that it is not root. Port 80 works for it, because containers get
# net.ipv4.ip_unprivileged_port_start=0 from Docker 20.10 on. With --network host add: -e MAYHTTPD_PORT=8080
USER 65534:65534
EXPOSE 80 443
# QUIT lets running downloads finish, where TERM cuts them.
STOPSIGNAL SIGQUIT
# The settings say where to ask: the defaults' admin listener, or another one that a mounted file or a
# variable names. One that a flag has moved is not found by it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/local/bin/mayhttpd", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/mayhttpd"]
