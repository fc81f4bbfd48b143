#: context formats
FROM busybox
ADD zeros.gz /zeros/
ADD endless.tar /endless/
