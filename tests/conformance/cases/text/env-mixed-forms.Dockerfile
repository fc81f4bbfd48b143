#: fails 3 can't find = in 'B': it must be of the form name=value
FROM busybox
ENV A=1 B
