#: ulimit nofile=500:600 nproc=1000:2000
FROM busybox
RUN ulimit -n > /out; ulimit -Hn >> /out; grep -e 'open files' -e processes /proc/self/limits >> /out
