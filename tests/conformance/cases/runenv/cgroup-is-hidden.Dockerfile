#: differs tree/out data: BuildKit shows the host's path of the step's cgroup, and mounts all hierarchies; lade those where the step has a group
FROM busybox
RUN cat /proc/self/cgroup > /out; awk '$3 ~ /cgroup/ {print $2}' /proc/mounts >> /out
