import { render } from 'preact';
import * as z from 'zod/mini';
import { takeHandover } from '../parts/handover.ts';
import { Emblem } from '../parts/mark.tsx';
import { ContentForm } from './content-form.tsx';
import { ProofForm } from './proof-form.tsx';
import { Result } from './result.tsx';
import { take } from './state.ts';
import { TrustForm } from './trust-form.tsx';

// The page's content security policy forbids `eval`.
z.config({ jitless: true });

function Page() {
  return (
    <>
      <header class="masthead">
        <div class="frame">
          <span class="brand">
            <Emblem />
            <span>Antequem</span>
            <small>Verifier</small>
          </span>
        </div>
      </header>
      <main class="frame">
        <div class="stack tight intro">
          <h1>Did this exist then?</h1>
          <p class="lead">
            Drop a file and its receipt. Both stay on this machine: the file is hashed in this page, and only the
            sources that you name are asked.
          </p>
        </div>
        <div class="inputs stack">
          <div class="pair">
            <ContentForm />
            <ProofForm />
          </div>
          <TrustForm />
        </div>
        <Result />
      </main>
    </>
  );
}

/** Files dropped anywhere on the page are sorted into proof and content. */
function acceptDrops(): void {
  document.addEventListener('dragover', (event) => {
    if (!(event.target instanceof HTMLInputElement)) event.preventDefault();
  });
  document.addEventListener('drop', (event) => {
    if (event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    void take([...(event.dataTransfer?.files ?? [])]);
  });
}

const page = document.getElementById('page');
if (page !== null) {
  page.replaceChildren();
  acceptDrops();
  render(<Page />, page);
  takeHandover((files) => void take(files));
}
