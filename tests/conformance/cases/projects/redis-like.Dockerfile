FROM busybox
RUN set -eux; mkdir -p /etc; echo redis:x:1000: > /etc/group; echo redis:x:999:1000::/:/bin/sh > /etc/passwd
ENV GOSU_VERSION=1.17
RUN set -eux; arch="$(echo x86_64)"; case "$arch" in 'x86_64') url='amd64'; sha='bbc4' ;; *) echo >&2 "error: unsupported architecture: '$arch'"; exit 1 ;; esac; echo "$url $sha $GOSU_VERSION" > /usr-gosu
RUN mkdir /data && chown redis:redis /data
VOLUME /data
WORKDIR /data
RUN pwd > where && chown 1:1 where
EXPOSE 6379
CMD ["redis-server"]
