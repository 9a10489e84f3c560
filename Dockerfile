# Build with: docker build -t mayhttpd .
# Run with:   docker run -p 80:80 -v /var/www/html:/var/www/html:ro mayhttpd

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
COPY --from=build /src/target/release/mayhttpd /usr/local/bin/mayhttpd
RUN mkdir -p /var/www/html
# Variables rather than arguments, so that flags after the image's name win over them.
ENV MAYHTTPD_ROOT=/var/www/html \
    MAYHTTPD_PORT=80
# By number, which Kubernetes needs to see that it is not root. Port 80 works for it, because containers get
# net.ipv4.ip_unprivileged_port_start=0 from Docker 20.10 on. With --network host add: -e MAYHTTPD_PORT=8080
USER 65534:65534
EXPOSE 80
# QUIT lets running downloads finish, where TERM cuts them.
STOPSIGNAL SIGQUIT
# The settings of the environment say where to ask; with -e MAYHTTPD_ADMIN=9000 it is /healthz there. For a server that flags have moved elsewhere, and for a directory
# without an index page, whose / is a 403, name a page: --health-cmd "mayhttpd healthcheck http://127.0.0.1:8080/page"
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/usr/local/bin/mayhttpd", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/mayhttpd"]
