FROM busybox
RUN ls -l /dev | grep -v -e otel -e ^total | awk '{print $1, $NF}' | sort > /out; cat /dev/null; head -c 4 /dev/zero | wc -c >> /out; head -c 4 /dev/urandom | wc -c >> /out
