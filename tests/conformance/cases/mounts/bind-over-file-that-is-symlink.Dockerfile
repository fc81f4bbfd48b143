FROM merged
RUN --mount=source=a.txt,target=/file-link cat /file-link > /out
