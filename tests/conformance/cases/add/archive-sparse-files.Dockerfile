#: context formats
FROM busybox
ADD sparse-0.0.tar /0.0/
ADD sparse-0.1.tar /0.1/
ADD sparse-1.0.tar /1.0/
