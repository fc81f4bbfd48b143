FROM busybox
RUN awk '{print $2}' /proc/mounts | grep -v -e otel -e cgroup -e /proc/interrupts | sort > /out
