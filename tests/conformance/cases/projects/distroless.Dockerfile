FROM busybox AS files
RUN mkdir -p /rootfs/etc /rootfs/tmp /rootfs/home/nonroot /rootfs/var/run && chmod 1777 /rootfs/tmp \
 && echo 'root:x:0:0:root:/root:/sbin/nologin' > /rootfs/etc/passwd \
 && echo 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' >> /rootfs/etc/passwd \
 && echo 'nonroot:x:65532:' > /rootfs/etc/group \
 && chown -R 65532:65532 /rootfs/home/nonroot && chmod 700 /rootfs/home/nonroot && ln -s ../run /rootfs/var/lock
FROM scratch AS static
COPY --from=files /rootfs/ /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER nonroot
WORKDIR /home/nonroot
FROM static AS base
COPY --from=files --chown=nonroot:nonroot --chmod=500 /bin/busybox /usr/bin/app
FROM base
USER 0
COPY --from=files /bin/busybox /busybox/sh
SHELL ["/busybox/sh", "-c"]
USER 65532
WORKDIR data
ENTRYPOINT ["/usr/bin/app"]
