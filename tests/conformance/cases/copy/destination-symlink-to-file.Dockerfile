FROM merged
COPY a.txt /file-link
