FROM busybox
LABEL a=1 b="two words" "c d"=e f=""
LABEL a=over
LABEL com.example.x="line \
continued"
LABEL legacy value with words
