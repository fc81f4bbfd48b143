#: differs outcome/buildkit: it cannot pass such bytes on, lade can
FROM busybox
LABEL a="ÿş"
RUN echo "é" > /out
