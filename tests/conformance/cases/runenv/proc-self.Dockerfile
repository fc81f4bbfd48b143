FROM busybox
RUN readlink /proc/self/exe > /out; tr '\0' ' ' < /proc/1/cmdline >> /out; cat /proc/self/oom_score_adj >> /out; cat /proc/self/loginuid >> /out 2>/dev/null; true
