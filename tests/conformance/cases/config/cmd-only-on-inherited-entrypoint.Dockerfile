FROM configured
CMD ["only"]
