FROM \
  busybox
RUN \
  echo x > /out
ENV \
  A=1
