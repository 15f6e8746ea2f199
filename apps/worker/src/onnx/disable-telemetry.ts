// ONNX Runtime would report sessions, processor and system to its maker, and leave files in the home
// and temporary directories. It looks at this variable of the process once, when its library is loaded:
// import this first, and on the main thread.
process.env['ORT_DISABLE_TELEMETRY'] = '1';
