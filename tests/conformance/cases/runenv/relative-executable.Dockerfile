FROM busybox
WORKDIR /w
COPY --chmod=755 <<EOF tool
#!/bin/sh
echo relative > /out
EOF
RUN ["./tool"]
