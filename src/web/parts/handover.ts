// Brings a receipt and its content from an entry's page to the verifier, which opens in a tab of its own. Both pages are of
// one origin; nothing goes to any other, and nothing is stored.

const READY = 'antequem-verifier-ready';
const FILES = 'antequem-files';

/** Opens the verifier and gives it the files once it asks for them. @param load called then; a failure is the caller's */
export function openVerifier(load: () => Promise<readonly File[]>): void {
  const opened = window.open('verify', '_blank');
  if (opened === null) return;
  const give = async (): Promise<void> => {
    const files = await load();
    opened.postMessage({ kind: FILES, files }, location.origin);
  };
  const onMessage = ({ source, origin, data }: MessageEvent<unknown>): void => {
    if (source !== opened || origin !== location.origin || data !== READY) return;
    removeEventListener('message', onMessage);
    void give();
  };
  addEventListener('message', onMessage);
}

/** Takes the files of the page that opened this one, if one of the same origin did. A page from disk has none. */
export function takeHandover(take: (files: readonly File[]) => void): void {
  const { opener, origin } = window;
  if (opener === null || origin === 'null') return;
  addEventListener('message', ({ source, origin: from, data }: MessageEvent<unknown>) => {
    if (source === opener && from === origin) take(filesIn(data));
  });
  opener.postMessage(READY, origin);
}

function filesIn(data: unknown): File[] {
  if (typeof data !== 'object' || data === null || !('kind' in data) || data.kind !== FILES) return [];
  if (!('files' in data) || !Array.isArray(data.files)) return [];
  return data.files.filter((file) => file instanceof File).slice(0, 2);
}
