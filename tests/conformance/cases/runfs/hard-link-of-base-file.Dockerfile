#: differs layer/4/odd/one: the same
#: differs tree/odd/* links: BuildKit leaves the old path of a link to an earlier layer's file in that layer, unlinked
FROM odd
RUN ln /odd/one /odd/new-link
