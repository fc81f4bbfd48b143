#: fails 3 http://nosuchhost\.invalid/x: could not reach nosuchhost\.invalid: could not resolve host: nosuchhost\.invalid
FROM busybox
ADD http://nosuchhost.invalid/x /x
