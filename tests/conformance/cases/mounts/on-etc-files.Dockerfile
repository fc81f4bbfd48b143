FROM busybox
RUN --mount=source=a.txt,target=/etc/hosts cat /etc/hosts > /out
RUN --mount=source=a.txt,target=/etc/resolv.conf cat /etc/resolv.conf > /out2
