#: context formats
FROM busybox
ADD garbage.tar /garbage/
ADD two.tar /two/
