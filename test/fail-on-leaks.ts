/** A listener that is added again and again is a leak, in the product or in a test. */
process.on('warning', (warning) => {
  if (warning.name === 'MaxListenersExceededWarning') throw warning;
});
