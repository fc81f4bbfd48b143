#: args A=cli
FROM busybox
ARG A=1
ARG B="two words"
ARG UNSET
RUN true
RUN --network=none true
COPY <<EOF /f
x
EOF
