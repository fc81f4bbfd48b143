#: differs layer/[24]/[ab]: the same
#: differs tree/[bc] links: BuildKit leaves the old path of a link to an earlier layer's file in that layer, unlinked
FROM busybox
RUN echo x > /a
RUN ln /a /b
RUN echo changed > /a
RUN rm /a && ln /b /c
