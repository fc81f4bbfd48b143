FROM busybox
ENV A=x\\ B="y\\"
