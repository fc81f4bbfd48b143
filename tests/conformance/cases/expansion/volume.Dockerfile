FROM busybox
ENV D=/data
VOLUME $D ${D}2
VOLUME ["$D/json"]
