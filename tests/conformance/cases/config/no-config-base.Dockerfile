FROM no-config
RUN env | sort | grep -v -e OTEL -e TRACEPARENT > /out; pwd > /pwd
