#: context archives
#: args S6_OVERLAY_VERSION=3.1.6.2
FROM merged
ARG S6_OVERLAY_VERSION=1
ARG TARGETARCH
ADD a.xz /
ADD a.gz many/ /overlay/
RUN mkdir -p /etc/services.d/app && printf '#!/command/execlineb -P\napp\n' > /etc/services.d/app/run && chmod +x /etc/services.d/app/run
COPY --chmod=u=rwx,go=rx <<'RUN' <<'FINISH' /etc/cont-init.d/
#!/command/with-contenv sh
echo "starting on $HOSTNAME"
RUN
#!/bin/sh
exit 0
FINISH
ENV S6_KEEP_ENV=1 S6_BEHAVIOUR_IF_STAGE2_FAILS=2 VERSION=v${S6_OVERLAY_VERSION}-${TARGETARCH/amd64/x86_64}
VOLUME /config
ENTRYPOINT ["/init"]
