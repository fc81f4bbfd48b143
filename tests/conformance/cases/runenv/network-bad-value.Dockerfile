#: fails 3 invalid network mode 'bridge': it must be default, none or host
FROM busybox
RUN --network=bridge true
