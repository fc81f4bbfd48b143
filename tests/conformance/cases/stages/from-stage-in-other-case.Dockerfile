#: fails 6 FROM knows that stage as 'base'
# BuildKit asks for an image of that name, which cannot be.
FROM busybox AS Base
RUN touch /a
FROM busybox
FROM BASE
RUN touch /b
