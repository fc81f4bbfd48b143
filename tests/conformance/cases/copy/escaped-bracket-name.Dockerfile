FROM busybox
COPY [[]bracket].txt /x/
