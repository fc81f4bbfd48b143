FROM configured
ENTRYPOINT ["own"]
CMD ["own"]
