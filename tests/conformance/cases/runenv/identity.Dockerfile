FROM busybox
RUN (id; cat /proc/self/status | grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp):'; hostname; umask; pwd) > /out
