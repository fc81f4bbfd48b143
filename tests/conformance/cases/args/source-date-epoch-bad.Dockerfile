#: args SOURCE_DATE_EPOCH=yesterday
#: fails - invalid SOURCE_DATE_EPOCH: 'yesterday' is not a number of seconds
FROM busybox
