/** The bundled hash worker as text: whoever makes the pages puts it in. */
declare module 'antequem:hash-worker' {
  const code: string;
  export default code;
}
