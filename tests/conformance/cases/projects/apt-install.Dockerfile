FROM debian AS build
RUN rm -f /etc/apt/apt.conf.d/docker-clean; echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";' > /etc/apt/apt.conf.d/keep-cache
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    apt-get update && apt-get install -y --no-install-recommends hello tini && dpkg -L hello | sort > /list
FROM busybox
COPY --from=build /usr/bin/hello /usr/bin/tini /bin/
COPY --from=build /list /
