#: args V=cli
FROM busybox
ARG V
ENV W=$V
LABEL v=$V w=$W x=${V}${W}
