#: fails 3 ADD requires at least two arguments, but only one was provided: the
FROM busybox
ADD a
