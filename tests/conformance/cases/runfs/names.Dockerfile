FROM busybox
RUN mkdir '/a b' && touch '/a b/ü' '/a b/-dash' "/a b/q\"uote" '/a b/back\slash' '/a b/star*' '/a b/ trailing '
RUN touch "$(printf '/a b/new\nline')" "$(printf '/a b/tab\t')"
