FROM busybox
RUN ["sh", "-c", "printf 'a\\tb\u0041\n\"x\"' > /out"]
CMD ["\u00fc", "\\", "\/", "a\nb"]
