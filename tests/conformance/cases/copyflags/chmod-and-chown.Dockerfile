FROM busybox
COPY --chmod=4750 --chown=7:8 script.sh /x
COPY --chown=7:8 --chmod=2770 dir /d
