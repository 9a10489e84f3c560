# Build with: docker build -t mayhttpd .
# Run with:   docker run -p 80:80 -v /etc/httpd.conf:/etc/httpd.conf:ro -v /var/www/html:/var/www/html:ro mayhttpd
# Either folder or file may be left out. The classic builder is enough for it, and BuildKit does as well.

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
# Everything in the program itself, since the image has no libraries. Naming the target keeps the flag from the macros and
# build scripts, which need the dynamic loader. The tests are run in this form too, and drive the program that is shipped.
# What needs other programs, or rights that a build has not, is skipped with a word; .ci/run has them all.
ENV RUSTFLAGS="-C target-feature=+crt-static"
ARG TESTS="--lib --test it"
RUN target=$(rustc --print host-tuple) \
    && cargo build --release --locked --target "$target" \
    && cargo test --release --locked --target "$target" $TESTS \
    && install -D "target/$target/release/mayhttpd" /image/usr/local/bin/mayhttpd \
    && install -D -m 644 -t /image/etc dist/docker/httpd.conf \
    && install -D -m 644 -t /image/usr/share/mayhttpd dist/docker/defaults.toml \
    && install -d /image/var/www/html

FROM scratch
COPY --from=build /image /
LABEL org.opencontainers.image.title="mayhttpd" \
      org.opencontainers.image.description="A static-file HTTP/1.1 server" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# Variables rather than arguments, so that flags after the image's name win over them. What they name ranks below all else.
ENV MAYHTTPD_CONFIG=/etc/httpd.conf \
    MAYHTTPD_DEFAULTS=/usr/share/mayhttpd/defaults.toml
# By number, which Kubernetes needs to see that it is not root. Port 80 works for it, because containers get
# net.ipv4.ip_unprivileged_port_start=0 from Docker 20.10 on. With --network host add: -e MAYHTTPD_PORT=8080
USER 65534:65534
EXPOSE 80
# QUIT lets running downloads finish, where TERM cuts them.
STOPSIGNAL SIGQUIT
# The settings say where to ask: the defaults' admin listener, or another one that a mounted file or a variable names. One
# that a flag has moved is not found by it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/local/bin/mayhttpd", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/mayhttpd"]
