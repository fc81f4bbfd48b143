#: context formats
#: mtimes */hard */link */*/* v7/* ustar/*
FROM busybox
ADD gnu.tar /gnu/
ADD oldgnu.tar /oldgnu/
ADD pax.tar /pax/
ADD v7.tar /v7/
ADD ustar.tar /ustar/
ADD pax-times.tar /pax-times/
