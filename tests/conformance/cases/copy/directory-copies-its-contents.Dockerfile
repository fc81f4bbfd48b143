FROM busybox
COPY dir /dst
COPY dir /dst2/
COPY dir/ /dst3
#: mtimes dst* dst/* dst/*/*
