FROM busybox
COPY ./ /one/
COPY dir/. /two
COPY ./dir2/./ /three/
