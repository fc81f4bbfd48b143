FROM busybox AS Base
RUN touch /a
FROM base
RUN touch /b
